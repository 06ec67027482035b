select p.payment_id, p.order_id, p.amount, p.amount * m.fee_percent / 100 as fee
from {{ ref('stg_payments') }} as p
join {{ ref('payment_methods') }} as m on p.method = m.method
