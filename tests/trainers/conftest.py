"""The scripts in these folders run in processes of their own, with libraries that this one does not have."""

collect_ignore = ["readers", "contracts", "stubs"]
