"""Operations on the record of changes."""
