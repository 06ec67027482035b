"""Operations on environment variables."""
