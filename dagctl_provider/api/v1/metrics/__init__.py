"""Operations on execution metrics."""
