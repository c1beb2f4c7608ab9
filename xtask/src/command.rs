//! Running other programs: what is run is shown, and a failure names the whole command.
//!
//! Comes in: a `Command`. Goes out: its output, or an error that can be pasted into a shell.

use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// Runs a command with our own stdout and stderr and no stdin.
///
/// # Errors
/// When it cannot be started or does not exit with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", shown(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{status}: {}", shown(command));
    }
    Ok(())
}

/// Runs a command quietly and returns what it wrote to stdout.
///
/// # Errors
/// When it cannot be started, does not exit with 0 (the error quotes its stderr), or does not
/// write UTF-8.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}\n{}", output.status, shown(command), stderr.trim_end());
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} did not write UTF-8", shown(command)))
}

/// The command as one would type it; variables set for it are left out.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// One shell word, in single quotes only when it needs them.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_named_with_its_complaint() {
        let error = output_of(Command::new("sh").args(["-c", "echo no luck >&2; exit 3"]));
        let error = error.expect_err("exit 3 is a failure").to_string();
        assert!(error.contains("exit status: 3") && error.contains("no luck"), "{error}");
        assert!(error.contains("sh -c 'echo no luck >&2; exit 3'"), "{error}");
    }

    #[test]
    fn a_word_with_a_quote_survives_the_shell() {
        let echoed = output_of(
            Command::new("sh").args(["-c", &format!("printf %s {}", quoted("it's $HOME; \"x\""))]),
        );
        assert_eq!(echoed.expect("printf works"), "it's $HOME; \"x\"");
    }
}
