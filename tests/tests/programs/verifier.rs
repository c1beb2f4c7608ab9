//! How much work the programs are for the verifier: its patience is bounded, and so is ours.

use rst_tracer_tests::kernel::{self, Program};

/// Instructions that the verifier may follow in one program; it gives up at a million, and kernels
/// differ in how much they follow.
const BUDGET: u32 = 500_000;

#[test]
fn every_program_stays_well_within_what_the_verifier_follows() {
    let Some(kernel) = kernel::shared() else { return };
    for program in Program::ALL {
        let Some(followed) = kernel.verified(program) else {
            println!("{}: this kernel does not say (Linux 5.16 does)", program.name());
            continue;
        };
        println!("{}: {followed} instructions followed", program.name());
        assert!(followed < BUDGET, "{}: {followed}", program.name());
    }
}
