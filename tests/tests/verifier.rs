//! The verifier accepts every program, and how much work that was.

use aya::{
    EbpfLoader,
    programs::{ProgramError, SchedClassifier, Xdp},
};

#[test]
fn the_verifier_accepts_every_program() {
    let object = std::env::var("RST_TRACER_BPF_OBJECT").expect("object");
    let bytes = std::fs::read(object).expect("read");
    let mut bpf = EbpfLoader::new().load(&bytes).expect("load");
    for name in [
        "xdp_ingress",
        "xdp_ingress_l3",
        "tc_ingress",
        "tc_ingress_l3",
        "tc_egress",
        "tc_egress_l3",
    ] {
        let program = bpf.program_mut(name).expect(name);
        let loaded: Result<(), ProgramError> = match program {
            aya::programs::Program::Xdp(p) => {
                let p: &mut Xdp = p;
                p.load()
            }
            aya::programs::Program::SchedClassifier(p) => {
                let p: &mut SchedClassifier = p;
                p.load()
            }
            _ => panic!("kind"),
        };
        if let Err(e) = loaded {
            let text = match e {
                ProgramError::LoadError { io_error, verifier_log } => {
                    format!("{io_error}\n{verifier_log}")
                }
                e => format!("{e:?}"),
            };
            std::fs::write("/tmp/verifier.log", &text).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            panic!("{name}: {}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
        eprintln!(
            "{name}: {:?} verified instructions",
            program.info().ok().and_then(|i| i.verified_instruction_count())
        );
    }
}
