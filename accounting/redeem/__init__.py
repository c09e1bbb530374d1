"""At the quarter's end deductions are claimed from the city, reviewed and paid."""
