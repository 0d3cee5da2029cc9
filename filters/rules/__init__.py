"""The shipped rules, one class a module; the module has the rule's name."""
