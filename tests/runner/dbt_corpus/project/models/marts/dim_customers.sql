select c.customer_id, c.name, k.country
from {{ ref('stg_customers') }} as c
left join {{ ref('country_codes') }} as k on c.country_code = k.code
