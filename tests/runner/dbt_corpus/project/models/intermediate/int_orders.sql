{{ config(materialized='table') }}
select o.order_id, o.customer_id, o.status, o.ordered_at, coalesce(p.paid, 0) as paid
from {{ ref('stg_orders') }} as o
left join {{ ref('int_order_payments') }} as p on o.order_id = p.order_id
