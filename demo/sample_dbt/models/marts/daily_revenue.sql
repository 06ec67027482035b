select
    ordered_on,
    count(*) as orders,
    round(sum(revenue), 2) as revenue
from {{ ref('order_revenue') }}
group by ordered_on
