//! What the customer pays besides the price: taxes, shipping.

use commerce_core::{
    Currency, Money,
    pricing::{FlatMethod, FlatShipping, FlatTax},
};
use rust_decimal::Decimal;

use super::{ConfigError, items, wrong};

pub fn tax_rates(text: &str) -> Result<FlatTax, ConfigError> {
    items(text).try_fold(FlatTax::none(), |tax, item| {
        let rate = item.split_once('=').and_then(|(country, percent)| {
            let percent: Decimal = percent.trim().parse().ok()?;
            let is_country = country.len() == 2 && country.bytes().all(|b| b.is_ascii_alphabetic());
            (is_country && percent >= Decimal::ZERO && percent <= Decimal::ONE_HUNDRED).then_some((country, percent))
        });
        let (country, percent) = rate.ok_or_else(|| {
            wrong(
                "COMMERCE_TAX_RATES",
                format!("has '{item}' where a country and a percentage such as DE=19 should be"),
            )
        })?;
        Ok(tax.rate(country, percent))
    })
}

fn amount(text: &str, currency: Currency) -> Option<Money> {
    let digits = currency.digits() as usize;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let padded = if digits == 0 { text.to_owned() } else { format!("{whole}.{fraction:0<digits$}") };
    Money::parse(&padded, currency).ok().filter(|money| money.minor >= 0)
}

pub fn shipping_methods(text: &str, currency: Currency) -> Result<FlatShipping, ConfigError> {
    let methods: Vec<FlatMethod> = items(text)
        .map(|item| {
            shipping_method(item, currency).ok_or_else(|| {
                let why = format!(
                    "has '{item}' where a method such as standard:4.90 or standard:4.90:free_above=50 should be"
                );
                wrong("COMMERCE_SHIPPING_METHODS", why)
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(if methods.is_empty() { FlatShipping::free() } else { FlatShipping::new(methods) })
}

fn shipping_method(item: &str, currency: Currency) -> Option<FlatMethod> {
    let mut parts = item.split(':');
    let code = parts.next().filter(|code| !code.is_empty())?;
    let price = amount(parts.next()?, currency)?;
    let free_above = match parts.next() {
        None => None,
        Some(option) => Some(amount(option.strip_prefix("free_above=")?, currency)?),
    };
    if parts.next().is_some() {
        return None;
    }
    let mut title = code.replace('_', " ");
    title[..1].make_ascii_uppercase();
    Some(FlatMethod { code: code.to_owned(), title, price: (!price.is_zero()).then_some(price), free_above })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_may_become_free() {
        let standard = shipping_method("standard:4.90:free_above=50", Currency::EUR).unwrap();
        assert_eq!((standard.title.as_str(), standard.price.unwrap().minor), ("Standard", 490));
        assert_eq!(standard.free_above.unwrap().minor, 5000);
    }
}
