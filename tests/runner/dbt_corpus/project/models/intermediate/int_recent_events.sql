select event_id, customer_id, happened_at from {{ ref('stg_events') }} where {{ recent('happened_at') }}
