//! What shows only over many resets, live, with real sockets.

use std::{
    net::{IpAddr, TcpListener, TcpStream},
    time::Duration,
};

use rst_tracer::demo::sockets;
use rst_tracer_tests::tracer::Tracer;
use serde_json::Value;

use crate::pair::{HERE, Pair, THERE, lines, of_type};

/// The finding of a kind that begins, and that it is the only one.
pub(crate) fn begun(tracer: &Tracer, kind: &str) -> Value {
    let line = tracer.out.await_line(kind, |line| line.contains(r#""type":"finding""#));
    let finding: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(
        (&finding["kind"], &finding["state"]),
        (&kind.into(), &"begins".into()),
        "{finding:#}"
    );
    finding
}

/// Its end, which the end of the trace brings.
fn ended(tracer: Tracer, begun: &Value) -> Value {
    let ended = tracer.interrupt();
    ended.assert_code(0);
    ended.summary().assert_balanced();
    let lines = lines(&ended);
    let findings = of_type(&lines, "finding");
    let last = *findings.last().expect("its end");
    assert_eq!((&last["id"], &last["state"]), (&begun["id"], &"over".into()), "{findings:#?}");
    assert_eq!(findings.len(), 2, "{findings:#?}");
    last.clone()
}

/// Calls thirty closed ports of the traced host.
fn ask_thirty_closed_ports(pair: &Pair) {
    let ask = || {
        for port in 2_000..2_030 {
            TcpStream::connect((IpAddr::from(HERE), port)).expect_err("it is closed");
        }
        Ok(())
    };
    pair.there.run(ask).expect("asked");
}

#[test]
fn whoever_asks_thirty_closed_ports_scans() {
    let Some(pair) = Pair::beside_others() else { return };
    let tracer = pair.trace(&[]);
    ask_thirty_closed_ports(&pair);
    let first = begun(&tracer, "port_scan");
    assert_eq!(first["counts"]["ports"], 15, "{first:#}");
    tracer.out.await_count(31);
    let last = ended(tracer, &first);
    assert_eq!(
        (&last["counts"]["ports"], &last["counts"]["rsts"]),
        (&30.into(), &30.into()),
        "{last:#}"
    );
    assert_eq!(last["sources"][0]["ip"], IpAddr::from(THERE).to_string());
}

#[test]
fn a_listener_that_closes_with_callers_waiting_went_down() {
    let Some(pair) = Pair::beside_others() else { return };
    let tracer = pair.trace(&[]);
    let bind = || Ok(TcpListener::bind((IpAddr::from(HERE), 80))?);
    let listener = pair.here.run(bind).expect("it listens");
    let address = listener.local_addr().expect("its address");
    let call = || Ok(TcpStream::connect_timeout(&address, Duration::from_secs(5))?);
    let callers: Vec<_> = (0..4).map(|_| pair.there.run(call).expect("called")).collect();
    sockets::close(listener).expect("closed");
    let first = begun(&tracer, "restart");
    tracer.out.await_count(5);
    let last = ended(tracer, &first);
    assert_eq!(
        (&last["counts"]["waiting"], &last["counts"]["cut"]),
        (&4.into(), &0.into()),
        "{last:#}"
    );
    assert_eq!(
        (&last["sources"][0]["ip"], &last["sources"][0]["port"]),
        (&IpAddr::from(HERE).to_string().into(), &80.into())
    );
    drop(callers);
}

#[test]
fn findings_can_be_left_out() {
    let Some(pair) = Pair::beside_others() else { return };
    let tracer = pair.trace(&["--no-findings"]);
    ask_thirty_closed_ports(&pair);
    tracer.out.await_count(30);
    let ended = tracer.interrupt();
    assert_eq!(of_type(&lines(&ended), "finding"), [] as [&Value; 0]);
}
