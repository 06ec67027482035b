select cast(day as date) as day
from generate_series(date '{{ var("calendar_start") }}', date '2024-01-31', interval 1 day) as t(day)
