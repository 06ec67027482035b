MODEL (
  name marts.daily_revenue,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column ordered_on
  ),
  description 'Revenue of each day',
  grain (
    ordered_on
  )
);

SELECT
  ordered_on,
  COUNT(*) AS orders,
  ROUND(SUM(revenue), 2) AS revenue
FROM marts.order_revenue
WHERE
  ordered_on BETWEEN @start_date AND @end_date
GROUP BY
  ordered_on