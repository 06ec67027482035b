select d.day, coalesce(sum(o.paid), 0) as revenue
from {{ ref('common', 'calendar') }} as d
left join {{ ref('fct_orders') }} as o on o.ordered_at = d.day
group by d.day
