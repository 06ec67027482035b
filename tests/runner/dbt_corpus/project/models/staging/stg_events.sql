select event_id, customer_id, happened_at from {{ source('web', 'events') }}
