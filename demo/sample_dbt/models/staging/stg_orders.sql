-- Orders that count: returned ones are left out.
select
    order_id,
    customer_id,
    cast(ordered_on as date) as ordered_on
from {{ ref('orders') }}
where status <> 'returned'
