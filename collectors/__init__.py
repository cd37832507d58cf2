"""Collectors: one module a network, the contract, the poll loop, the HTTP manners."""
