//! Figures of a load.

/// What went wrong while measuring.
pub type LoadError = Box<dyn std::error::Error + Send + Sync>;

/// The middle one of some figures, or zero of none.
#[must_use]
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
