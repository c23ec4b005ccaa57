"""The CONNECT proxy: connections that leave through HELM, each a governed call."""
