"""The process and its machine: clock, files, environment, service manager, errands in processes of their own."""
