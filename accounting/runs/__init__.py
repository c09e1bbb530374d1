"""What ran: usage facts, the archive that keeps them, reports about machines."""
