"""`retune serve`: answer questions over HTTP, with a page to ask them on."""
