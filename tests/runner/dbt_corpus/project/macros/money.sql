{% macro money(column) %}{{ rounded(common.cents_to_money(column)) }}{% endmacro %}
