//! Floors: what must hold on any machine, however busy it is.
//!
//! A goal says what is hoped for; a floor is about half as good again as what is measured, far enough from it to hold
//! always, and near enough to notice that something was lost. In: floors as they were measured. Out: those that are
//! broken, in words.

use anyhow::Result;

use crate::report::Goal;

/// How often the same is measured again where a floor does not hold: somebody else may have been busy.
const AGAIN: usize = 2;

/// Floors that do not hold, not even where the same is measured again.
pub(crate) fn broken(
    floors: &[Goal],
    mut once_more: impl FnMut() -> Result<Vec<Goal>>,
) -> Result<Vec<String>> {
    let mut broken: Vec<Goal> = floors.iter().filter(|floor| !floor.is_met()).cloned().collect();
    for _ in 0..AGAIN {
        if broken.is_empty() {
            break;
        }
        for floor in &broken {
            println!("once more, because of {}", floor.in_words());
        }
        let again = once_more()?;
        let is_broken =
            |floor: &Goal| !floor.is_met() && broken.iter().any(|before| before.what == floor.what);
        broken = again.into_iter().filter(is_broken).collect();
    }
    Ok(broken.iter().map(Goal::in_words).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(data: f64, speed: f64) -> Vec<Goal> {
        vec![Goal::at_most("data segment", 0.85, data), Goal::at_least("speed", 5.0, speed)]
    }

    #[test]
    fn a_floor_that_is_broken_always_is_told_with_what_was_measured() -> Result<()> {
        let told = broken(&measured(1.43, 4.0), || Ok(measured(1.5, 9.0)))?;
        assert_eq!(told, ["data segment: measured 1.50, at most 0.85"]);
        let told = broken(&measured(0.5, 4.0), || Ok(measured(1.5, 3.0)))?;
        assert_eq!(told, ["speed: measured 3, at least 5"]);
        Ok(())
    }

    #[test]
    fn what_was_never_measured_is_broken() -> Result<()> {
        let told = broken(&measured(f64::NAN, 9.0), || Ok(measured(f64::NAN, 9.0)))?;
        assert_eq!(told, ["data segment: measured NaN, at most 0.85"]);
        Ok(())
    }

    #[test]
    fn floors_that_hold_are_measured_once() -> Result<()> {
        assert!(broken(&measured(0.85, 5.0), || unreachable!("they hold"))?.is_empty());
        Ok(())
    }

    #[test]
    fn a_disturbance_breaks_none() -> Result<()> {
        assert!(broken(&measured(1.43, 9.0), || Ok(measured(0.55, 9.0)))?.is_empty());
        let mut later = [1.2, 0.55].into_iter();
        let again = || Ok(measured(later.next().expect("no more than that"), 9.0));
        assert!(broken(&measured(1.43, 9.0), again)?.is_empty());
        Ok(())
    }
}
