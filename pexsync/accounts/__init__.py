"""Who: businesses, people, what they may do, and the wall between tenants."""
