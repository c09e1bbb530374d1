"""Papers as files: pages, spreadsheets and comma-separated values, one writer for each form."""
