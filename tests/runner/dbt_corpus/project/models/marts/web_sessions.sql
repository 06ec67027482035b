{{ config(materialized='incremental') }}
select customer_id, happened_at, count(*) as events from {{ ref('int_recent_events') }}
{% if is_incremental() %}
where happened_at > (select max(happened_at) from {{ this }})
{% endif %}
group by customer_id, happened_at
