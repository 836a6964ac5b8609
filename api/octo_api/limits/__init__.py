"""How much of the server one caller, one client or one request may take."""
