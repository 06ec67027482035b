{% macro rounded(expression) %}round({{ expression }}, 2){% endmacro %}
