"""The sandbox: what a guest may touch, spend and answer."""
