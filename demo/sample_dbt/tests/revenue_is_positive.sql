select *
from {{ ref('order_revenue') }}
where revenue <= 0
