//! The program: hands the command line to the library and returns its exit code.

use linkwright::cli;
use linkwright::cli::environment::Environment;
use linkwright::effects::guard;
use linkwright::effects::process::Guard;
use linkwright::effects::sealed;
use linkwright::words::exit_code::ExitCode;
use std::io::{self, BufWriter, Write as _};

fn main() -> std::process::ExitCode {
    if guard::is_called(std::env::args_os().next().as_deref()) {
        return std::process::ExitCode::from(guard::serve());
    }
    if sealed::is_called(std::env::args_os().nth(1).as_deref()) {
        return std::process::ExitCode::from(sealed::serve(std::env::args_os().skip(2)));
    }
    let ended = std::panic::catch_unwind(|| {
        let mut out = BufWriter::new(io::stdout());
        let mut err = io::stderr();
        let environment = match Environment::of_this_process() {
            Ok(environment) => Environment { guard: Guard::of_this_program(), ..environment },
            Err(error) => {
                let _ = writeln!(err, "error: cannot read the current folder\n  because: {error}");
                return ExitCode::BadInput.number();
            }
        };
        cli::run(std::env::args_os().collect(), &environment, &mut out, &mut err)
    });
    let code = ended.unwrap_or_else(|_| {
        let _ = writeln!(io::stderr(), "hint: this is a bug in linkwright; please report it");
        ExitCode::Bug.number()
    });
    std::process::ExitCode::from(code)
}
