use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::{
    address::PostalAddress,
    id::VariantId,
    money::{Currency, Money, MoneyError},
};

const EUR: Currency = Currency::EUR;

fn line(n: u128, quantity: u32, price: i64) -> PricedLine {
    let variant_id = VariantId(uuid::Uuid::from_u128(n));
    PricedLine { variant_id, quantity, unit_price: Money::new(price, EUR) }
}

fn priced(lines: &[PricedLine], shipping: i64, percent: Decimal, prices_include_tax: bool) -> (Totals, TaxBreakdown) {
    let destination = PostalAddress { country: "DE".to_owned(), ..PostalAddress::default() };
    let shipping = Money::new(shipping, EUR);
    let request = TaxRequest { destination: Some(&destination), lines, shipping, prices_include_tax };
    let calculator = FlatTax::none().rate("de", percent);
    let tax = futures_util::FutureExt::now_or_never(calculator.tax(&request)).unwrap().unwrap();
    (totals(EUR, lines, shipping, &tax, prices_include_tax).unwrap(), tax)
}

#[test]
fn gross_and_net_prices_give_the_totals_of_a_real_invoice() {
    let lines = [line(1, 2, 1990), line(2, 1, 500)];
    let (gross, _) = priced(&lines, 490, Decimal::from(19), true);
    assert_eq!((gross.subtotal.minor, gross.grand_total.minor, gross.tax.minor), (4480, 4970, 635 + 80 + 78));
    let (net, _) = priced(&lines, 490, Decimal::from(19), false);
    assert_eq!((net.subtotal.minor, net.tax.minor, net.grand_total.minor), (4480, 756 + 95 + 93, 4480 + 490 + 944));
    let (untaxed, _) = priced(&lines, 490, Decimal::ZERO, false);
    assert_eq!((untaxed.tax.minor, untaxed.grand_total.minor), (0, 4970));
}

#[test]
fn where_no_rate_is_known_there_is_no_tax() {
    let lines = [line(1, 1, 1000)];
    for country in [None, Some("CH")] {
        let destination = country.map(|c| PostalAddress { country: c.to_owned(), ..PostalAddress::default() });
        let request = TaxRequest {
            destination: destination.as_ref(),
            lines: &lines,
            shipping: EUR.zero(),
            prices_include_tax: true,
        };
        let calculator = FlatTax::none().rate("DE", Decimal::from(19));
        let tax = futures_util::FutureExt::now_or_never(calculator.tax(&request)).unwrap().unwrap();
        assert_eq!(tax, TaxBreakdown { lines: vec![EUR.zero()], shipping: EUR.zero() });
    }
}

#[test]
fn totals_that_do_not_fit_are_refused() {
    let lines = [line(1, 2, i64::MAX)];
    let tax = TaxBreakdown { lines: vec![EUR.zero()], shipping: EUR.zero() };
    assert_eq!(totals(EUR, &lines, EUR.zero(), &tax, true), Err(MoneyError::Overflow));
    let dollars = Money::new(1, Currency::USD);
    assert!(matches!(totals(EUR, &[], dollars, &tax, true), Err(MoneyError::CurrencyMismatch(..))));
}

#[test]
fn shipping_is_free_from_its_threshold_on() {
    let eur = |minor| Money::new(minor, EUR);
    let method = FlatMethod {
        code: "standard".to_owned(),
        title: "Standard".to_owned(),
        price: Some(eur(490)),
        free_above: Some(eur(5000)),
    };
    let rates = FlatShipping::new(vec![method]);
    for (subtotal, price) in [(0, 490), (4999, 490), (5000, 0), (9999, 0)] {
        let methods = futures_util::FutureExt::now_or_never(rates.methods(None, eur(subtotal), &[])).unwrap().unwrap();
        assert_eq!(methods[0].price.minor, price, "{subtotal}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Gross: the total is the sum of what is shown, tax within. Net: tax on top. Tax is the sum of its rounded parts, each
    /// off by half a cent at most.
    #[test]
    fn totals_add_up(
        of in prop::collection::vec((1u32..20, 0i64..100_000), 0..8),
        shipping in 0i64..10_000,
        percent in 0i64..3_000,
        gross: bool,
    ) {
        let lines: Vec<_> = of.iter().enumerate().map(|(n, (q, p))| line(n as u128, *q, *p)).collect();
        let percent = Decimal::new(percent, 2);
        let (totals, tax) = priced(&lines, shipping, percent, gross);
        let subtotal: i64 = of.iter().map(|(q, p)| i64::from(*q) * p).sum();
        let parts: i64 = tax.lines.iter().map(|tax| tax.minor).sum::<i64>() + tax.shipping.minor;
        prop_assert_eq!(totals.subtotal.minor, subtotal);
        prop_assert_eq!(totals.tax.minor, parts);
        prop_assert_eq!(totals.grand_total.minor, subtotal + shipping + if gross { 0 } else { parts });
        for (line, tax) in lines.iter().zip(&tax.lines) {
            let base = if gross { Decimal::ONE_HUNDRED + percent } else { Decimal::ONE_HUNDRED };
            let exact = Decimal::from(line.total().unwrap().minor) * percent / base;
            prop_assert!((Decimal::from(tax.minor) - exact).abs() <= Decimal::new(5, 1) + Decimal::new(1, 9));
        }
    }
}
