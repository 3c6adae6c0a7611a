"""What people see around the syncs: overview, marketplace, connecting, setup, help."""
