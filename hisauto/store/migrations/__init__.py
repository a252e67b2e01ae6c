"""How the tables came to be what ``schema`` says, one revision after the other. Alembic's folder."""
