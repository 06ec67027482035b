MODEL (
  name marts.city_revenue,
  kind FULL,
  description 'Revenue of each city',
  grain (
    city
  ),
  audits (
    UNIQUE_VALUES(columns := (
      city
    ))
  )
);

SELECT
  city,
  COUNT(*) AS customers,
  SUM(orders) AS orders,
  ROUND(SUM(revenue), 2) AS revenue
FROM marts.customer_value
GROUP BY
  city