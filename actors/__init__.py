"""The hands of HELM: every await, clock read, thread, socket, file and database. They carry; helm/ decides."""
