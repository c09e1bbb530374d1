"""What it costs: chips, price lists, and the charge of a run in FP16-PFLOPS·hours."""
