"""What people sign and keep: statements, certificates, claims, registers, as plain data."""
