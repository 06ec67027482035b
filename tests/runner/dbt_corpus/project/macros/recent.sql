{% macro recent(column) %}{{ column }} >= date '2024-01-31' - interval ({{ var('recent_days') }}) day{% endmacro %}
