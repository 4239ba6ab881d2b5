"""How a view is declared, guarded, documented and answered."""
