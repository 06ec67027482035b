MODEL (
  name staging.orders,
  kind VIEW,
  description 'Orders that count: returned ones are left out',
  grain (
    order_id
  ),
  audits (
    UNIQUE_VALUES(columns := (
      order_id
    )),
    NOT_NULL(columns := (order_id, customer_id, ordered_on))
  )
);

SELECT
  order_id,
  customer_id,
  ordered_on::DATE AS ordered_on
FROM raw.orders
WHERE
  status <> 'returned'