{{ config(persist_docs={'relation': true, 'columns': true}) }}
select order_id, sum(amount) as amount, sum(fee) as fee from {{ ref('fct_payments') }} group by order_id
