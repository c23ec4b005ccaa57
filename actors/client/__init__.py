"""A client of HELM's HTTP surface, blocking and under Trio; its rows are drawn from the table of routes."""
