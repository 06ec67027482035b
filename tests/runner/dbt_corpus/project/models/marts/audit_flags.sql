{% for flag in var('flags') %}
select '{{ flag }}' as flag {% if not loop.last %}union all{% endif %}
{% endfor %}
