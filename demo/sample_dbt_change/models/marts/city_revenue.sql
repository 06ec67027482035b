select
    city,
    count(*) as customers,
    sum(orders) as orders,
    round(sum(revenue), 2) as revenue
from {{ ref('customer_value') }}
group by city
