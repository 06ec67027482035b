{% macro cents_to_money(column) %}{{ return(adapter.dispatch('cents_to_money', 'common')(column)) }}{% endmacro %}

{% macro default__cents_to_money(column) %}({{ column }} / 100.0){% endmacro %}
