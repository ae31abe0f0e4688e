//! The scripts of a FEG, run by a real shell, and what is made of what Docker says.

use super::verify::FegExpected;
use super::*;

#[test]
fn a_container_is_up_when_it_runs_and_is_not_called_unhealthy() {
    let lines = [
        r#"{"service":"magmad","reference":"r/gateway_python:5d2e8f90","image":"sha256:1","restarts":0,"status":"running","started":"t1","health":""}"#,
        r#"{"service":"td-agent-bit","reference":"r/gateway_python:5d2e8f90","image":"sha256:1","restarts":0,"status":"running","started":"t1","health":"starting"}"#,
        r#"{"service":"s6a_proxy","reference":"r/gateway_go:5d2e8f90","image":"sha256:2","restarts":7,"status":"restarting","started":"t9","health":""}"#,
        "WARNING: not JSON",
    ];
    let (containers, health) = parse_containers(lines.into_iter());
    assert_eq!(containers.len(), 3);
    let up: Vec<&str> = health.running().collect();
    assert_eq!(up, ["magmad"]);
    assert_eq!(health.units["s6a_proxy"].mark, "started t9 restarts 7");
}

fn container(id: &str, reference: &str) -> Container {
    Container { id: id.to_owned(), reference: reference.to_owned(), image: "sha256:1".to_owned() }
}

fn found(services: &[(&str, &str)]) -> FegFound {
    FegFound {
        compose: "docker-compose".to_owned(),
        project: "docker".to_owned(),
        registry: "r/".to_owned(),
        tag: "1".to_owned(),
        engine: "812".to_owned(),
        boot: "1/2".to_owned(),
        containers: services
            .iter()
            .map(|&(service, id)| (service.to_owned(), container(id, "r/gateway_go:1")))
            .collect(),
        health: Health::default(),
    }
}

#[test]
fn the_services_of_the_release_run_its_images_and_a_site_may_have_others_beside_them() {
    let images = ["gateway_go".to_owned()];
    let runs = |now: &[(&str, &str, &str)], before: &[(&str, &str)]| {
        let with = |services: &[(&str, &str, &str)]| FegFound {
            containers: services
                .iter()
                .map(|&(service, reference, image)| {
                    (service.to_owned(), Container { image: image.to_owned(), ..container("a", reference) })
                })
                .collect(),
            ..found(&[])
        };
        let expected = FegExpected {
            tag: "2".to_owned(),
            images: BTreeMap::from([("r/gateway_go:2".to_owned(), "sha256:2".to_owned())]),
            services: now.iter().map(|(service, ..)| (*service).to_owned()).collect(),
            switched: found(&[]),
        };
        let before: Vec<_> = before.iter().map(|&(service, reference)| (service, reference, "sha256:1")).collect();
        expected.is_what_runs(&with(now), &with(&before), &images).err().unwrap_or_default()
    };
    let magmad = ("magmad", "r/gateway_go:2", "sha256:2");
    let watch = ("watch", "site/watchtower:1", "sha256:7");
    assert_eq!(runs(&[magmad], &[]), "");
    assert_eq!(runs(&[magmad, watch], &[("watch", "site/watchtower:1")]), "");
    assert_eq!(runs(&[magmad, watch], &[]), "");
    assert_eq!(runs(&[], &[]), "compose knows no service");
    assert_eq!(runs(&[watch], &[]), "no service runs an image of `2`");
    assert_eq!(
        runs(&[magmad, ("watch", "r/gateway_go:1", "sha256:1")], &[]),
        "`watch` runs r/gateway_go:1 and not `2`"
    );
    // The tag has moved since the container was made.
    assert_eq!(runs(&[("magmad", "r/gateway_go:2", "sha256:1")], &[]), "`magmad` runs r/gateway_go:2 and not `2`");
    let pinned = "r/gateway_go@sha256:1f";
    assert_eq!(runs(&[magmad, ("proxy", pinned, "sha256:1")], &[]), format!("`proxy` runs {pinned} and not `2`"));
    assert_eq!(runs(&[magmad, watch], &[("watch", "r/gateway_go:1")]), "`watch` runs site/watchtower:1 and not `2`");
}

#[test]
fn a_service_that_the_release_has_dropped_is_told_and_not_required() {
    let health =
        crate::gateway::health::tests::health(&[("csfb", true, "1"), ("hss", false, "0"), ("magmad", true, "1")]);
    let before = FegFound { health, ..found(&[]) };
    let dropped = |services: &[&str]| {
        let services = services.iter().map(|&service| service.to_owned()).collect();
        let (tag, images) = ("2".to_owned(), BTreeMap::new());
        FegExpected { tag, images, services, switched: found(&[]) }.dropped(&before)
    };
    assert_eq!(dropped(&["magmad", "redis"]), BTreeSet::from(["csfb".to_owned()]));
    // Compose has not said what it has.
    assert_eq!(dropped(&[]), BTreeSet::new());
}

#[test]
fn what_somebody_else_does_after_the_switch_is_not_the_releases_doing() {
    let switched = found(&[("magmad", "a"), ("redis", "b")]);
    let expected = FegExpected {
        tag: "1".to_owned(),
        images: BTreeMap::new(),
        services: BTreeSet::new(),
        switched: switched.clone(),
    };
    let meddled = |now: FegFound| Feg::is_meddled_with(&now, &expected).unwrap_or_default();
    assert_eq!(meddled(switched.clone()), "");
    assert_eq!(
        meddled(found(&[("magmad", "a"), ("redis", "c")])),
        "somebody has removed the container of `redis` that the switch has made"
    );
    assert_eq!(
        meddled(found(&[("redis", "b")])),
        "somebody has removed the container of `magmad` that the switch has made"
    );
    let other = FegFound { tag: "c0ffee00".to_owned(), ..switched.clone() };
    assert_eq!(meddled(other), "`.env` names `c0ffee00`, which is not what the switch has written");
    let anew = FegFound { engine: "9001".to_owned(), ..switched.clone() };
    assert_eq!(meddled(anew), "the Docker engine was started anew");
}

#[test]
fn a_switch_that_fails_says_what_somebody_else_did_meanwhile() {
    let said_beside = |engine: &str, script: &str| {
        let witness = include_str!("witness.sh").replace("NEXT", "next").replace("DOCKER", engine);
        let env: &[(&str, &[u8])] = &[(".env", b"A=1\n")];
        let (_folder, output) = in_folder(env, &format!("{witness}mkdir next; cp .env next/\n{script}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = |script: &str| said_beside("true", script);
    assert_eq!(said_beside("false", "true"), "");
    assert_eq!(said_beside("false", "false"), "the Docker engine does not answer\n");
    assert_eq!(said_beside("false", "kill $$; true"), "the Docker engine does not answer\n");
    assert_eq!(said("echo A=2 > .env; false"), "");
    assert_eq!(said("are_placed=yes; false"), "");
    assert_eq!(said("are_placed=yes; echo A=2 > .env; true"), "");
    assert_eq!(said("are_placed=yes; echo A=2 > .env; false"), "somebody else has written .env meanwhile\n");
}

#[test]
fn what_cron_has_started_already_is_waited_for() {
    let script = "mkdir kept\ncp job job.sh\nchmod +x job.sh\nprintf '%s\\n' \"* * * * * root $PWD/job.sh >/dev/null\" >kept/cron\n\
                  \"$PWD/job.sh\" &\n";
    let rests = include_str!("at_rest.sh").replace("QUIESCED", "kept");
    let job: (&str, &[u8]) = ("job", b"#!/bin/sh\nsleep 1\ntouch done\n");
    let (_folder, output) = in_folder(&[job], &format!("{script}{rests}cat done && echo over\n"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "over\n", "{output:?}");
}

#[test]
fn what_compose_says_goes_on_its_way_and_tells_of_a_name_that_is_lost() {
    let said = |compose: &str, inspect: &str| {
        let script = format!(
            "set -e\nmasked() {{ \"$@\"; }}\ndocker() {{ {inspect}; }}\ncompose() {{ {compose}; }}\n{}\
             said_by compose up || {{ echo \"status $?\"; holds_a_lost_name || true; }}",
            include_str!("said_by.sh")
        );
        let (_folder, output) = in_folder(&[], &script);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let conflict = "echo 'Conflict. The container name \"/x\" is already in use by container \"e4d5\". You'; return 3";
    let lost = "Conflict. The container name \"/x\" is already in use by container \"e4d5\". You\nstatus 3\n";
    assert_eq!(said("echo done", "false"), "done\n");
    assert_eq!(said("echo no; return 1", "false"), "no\nstatus 1\n");
    assert_eq!(said(conflict, "true"), lost);
    assert_eq!(
        said(conflict, "false"),
        format!("{lost}the Docker engine holds the name of a container that is gone\n")
    );
}

#[test]
fn an_engine_that_does_not_answer_is_started_anew_and_asked_again() {
    let engine: (&str, &[u8]) = ("engine", b"#!/bin/sh\n[ -e anew ] || exec sleep 9\necho \"$@\"\n");
    let script = "chmod +x engine\n\
         timeout() { shift; if [ \"$1\" = systemctl ]; then \"$@\"; else command timeout 1 \"$@\"; fi; }\n\
         systemctl() { touch anew; }\n";
    let anew = include_str!("engine_anew.sh").replace("DOCKER", "./engine");
    let asked = "ids=$(docker ps -aq); echo \"$ids\"; docker ps\n";
    let (_folder, output) = in_folder(&[engine], &format!("{script}{anew}{asked}"));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "the Docker engine does not answer\nstarting the Docker engine anew\nps -aq\nps\n"
    );
}

#[test]
fn compose_as_a_plugin_has_all_its_time_unless_the_engine_is_stuck() {
    let engine: (&str, &[u8]) = (
        "engine",
        b"#!/bin/sh\ncase $1 in\nps) echo 1 2 ;;\ninspect) [ -e anew ] || exec sleep 9 ;;\n\
          compose) [ -e anew ] || { trap : TERM; sleep 60; exit 143; }; sleep 2; echo \"$@\"; exit 7 ;;\nesac\n",
    );
    // The client waits for its plugin, whatever it is asked.
    let script = "chmod +x engine\n\
         timeout() {\n  case $*: in\n  *systemctl*) shift; \"$@\" ;;\n  -k*) exec timeout \"$@\" ;;\n  \
         *) shift; command timeout 1 \"$@\" ;;\n  esac\n}\n\
         sleep() { command sleep 0.05; }\nsystemctl() { touch anew; }\n";
    let anew = include_str!("engine_anew.sh").replace("DOCKER", "./engine");
    let asked = "up() { docker compose up 3>&- >said; echo \"status $?\"; cat said; }\n\
         up\ndid_not_answer && start_engine_anew\nup\ndid_not_answer || echo fine\n";
    let since = std::time::Instant::now();
    let (_folder, output) = in_folder(&[engine], &format!("{script}{anew}{asked}"));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "status 1\nthe Docker engine does not answer\nstarting the Docker engine anew\nstatus 7\ncompose up\nfine\n",
        "{output:?}"
    );
    assert!(since.elapsed() < std::time::Duration::from_secs(30), "the plugin was waited for: {:?}", since.elapsed());
}

#[test]
fn compose_is_asked_once_about_the_same_files() {
    let known = concat!(include_str!("questions.sh"), include_str!("ask_composes.sh"))
        .replace("NEXT", "next")
        .replace("REFUSED", "6");
    let (asked, forced) = (known.replace("KNOWN", "known"), known.replace("KNOWN", "/dev/null"));
    // Each call of compose is a line in `calls`.
    let script = format!(
        "masked() {{ \"$@\"; }}\ndocker() {{ echo \"${{engine:-20.10}}\"; }}\nprograms() {{ echo v2; }}\n\
         compose() {{ echo call >>calls; case $* in *' --services') echo magmad ;; esac; }}\nresolved() {{ echo 1; }}\ntag=1\n\
         ask() {{ mkdir -p next; cp .env docker-compose.yml next/; [ -z \"$1\" ] || echo X=1 >>next/.env; }}\nset -- -f next/docker-compose.yml\n\
         exec 4>&1 >said\n\
         is() {{ echo \"$1: $(cat calls | wc -l) calls, $(cat next/services)\" >&4; : >calls; rm next/services; }}\n\
         keep() {{ mv next/known known; }}\n: >calls\n\
         ask; {asked}\nis first; keep\nask; {asked}\nis again; keep\nask; {forced}\nis forced\n\
         ask other; {asked}\nis 'another release'; keep\nask; {asked}\nis 'back'; keep\nask; {asked}\nis 'and again'\n\
         engine=26; ask; {asked}\nis 'another engine'; keep\n\
         echo '{{x: {{env_file: site.env}}}}' >docker-compose.yml\n\
         ask; {asked}\nis 'with other files'; keep\nask; {asked}\nis 'and once more'\n"
    );
    let files: [(&str, &[u8]); 2] = [(".env", b"IMAGE_VERSION=a\n"), ("docker-compose.yml", b"services: {}\n")];
    let (_folder, output) = in_folder(&files, &script);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "first: 5 calls, magmad\nagain: 0 calls, magmad\nforced: 5 calls, magmad\nanother release: 5 calls, magmad\n\
         back: 5 calls, magmad\nand again: 0 calls, magmad\nanother engine: 5 calls, magmad\n\
         with other files: 5 calls, magmad\nand once more: 5 calls, magmad\n",
        "{output:?}"
    );
}

#[test]
fn images_are_pulled_beside_what_else_is_done_and_no_pull_outlives_the_script() {
    let engine: (&str, &[u8]) = (
        "engine",
        b"#!/bin/sh\necho \"$3 begins\" >>calls\n\
          case $3 in lost) echo 'manifest unknown'; exit 1 ;; endless) echo $$ >pid; exec sleep 60 ;; *) echo \"$3\" ;; esac\n",
    );
    let pull = include_str!("pull.sh").replace("DOCKER", "./engine").replace("PULL_FAILED", "4");
    let pull = format!("noted() {{ echo \"noted$references\"; }}\n{pull}");
    let said = |script: &str| {
        let (folder, output) = in_folder(&[engine], &format!("chmod +x engine\n{pull}\n{script}"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (folder, format!("{said}{:?}", output.status.code().expect("it ends by itself")))
    };
    assert_eq!(said("pull a\npull b\npulled\necho done").1, "noted a b\ndone\n0");
    let lost = said("pull lost\npull b\npulled\necho done").1;
    assert_eq!(lost.replace("b\n", "").replace("noted lost ", ""), "manifest unknown\n4");
    let began = "until [ -s pid ]; do sleep 0.01; done";
    let (folder, end) = said(&format!("pull endless\n{began}\necho refused\nexit 9"));
    assert_eq!(end, "refused\n9");
    let pid = std::fs::read_to_string(folder.path().join("pid")).expect("it has begun").trim().parse();
    let pid = pid.expect("a number");
    let since = std::time::Instant::now();
    while crate::process::is_alive(pid) {
        assert!(since.elapsed() < std::time::Duration::from_secs(20), "the pull goes on");
    }
}

/// Runs the script beside a Docker client whose images are files of the folder `images`, with their names in them.
#[test]
fn images_of_releases_that_are_not_kept_go_and_those_in_use_or_of_others_stay() {
    let brought = "r1 sha:old\nr1 sha:used\nr1 sha:named\nr1 sha:backup\nr1 sha:gone\nr1 sha:untagged\nr1 -\nr2 sha:r2\nr2 -\nr3 sha:r3\nr3 -\nr2 -\n";
    let docker = "docker() {\n  case $1 in\n  ps) echo c1 ;;\n  inspect) echo sha:used ;;\n  image) cat \"images/$5\" 2>/dev/null ;;\n  \
                  rmi) echo \"$2\" >>removed ;;\n  esac\n}\nmkdir images\nfor id in old used backup r2 r3 others; do echo \"reg:5000/gateway_go:$id\" >images/sha:$id; done\n\
                  printf 'reg:5000/gateway_go:x\\nsite/copy:1\\n' >images/sha:named\n: >images/sha:untagged\necho 'sha:backup digest' >kept\n";
    let script = format!(
        "set -e\n{docker}{}\ncat brought removed\nls\n",
        include_str!("sweep.sh")
            .replace("STATE", ".")
            .replace("BACKUP/images", "kept")
            .replace("KEEP", "2")
            .replace("IMAGES", "*'gateway_go' | *'gateway_python'")
    );
    let (_folder, output) = in_folder(&[("brought", brought.as_bytes())], &script);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "swept\treg:5000/gateway_go:old\nswept\tsha:untagged\n\
         r1 sha:used\nr1 sha:named\nr1 sha:backup\nr2 sha:r2\nr2 -\nr3 sha:r3\nr3 -\nr2 -\n\
         reg:5000/gateway_go:old\nsha:untagged\nbrought\nimages\nkept\nremoved\n",
        "{output:?}"
    );
}

#[test]
fn a_container_that_has_said_nothing_is_not_asked_what_it_has_said() {
    let script = "docker() {\n  case $1 in\n  ps) echo 1 2 3 4 ;;\n  inspect) printf '%s\\n' '/talks journald ' '/quiet journald ' \"/file json-file $PWD/old.log\" \
                  '/other local ' ;;\n  logs) echo \"what $5 said\" ;;\n  esac\n}\n\
                  journalctl() { case $* in *CONTAINER_NAME=talks) echo x ;; *CONTAINER_NAME*) ;; *) echo engine ;; esac; }\n\
                  touch -d '-1 hour' old.log\n";
    let journal = include_str!("journal.sh").replace("SECONDS", "60").replace("PROJECT", "feg");
    let (_folder, output) = in_folder(&[], &format!("{script}{journal}"));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "engine\n== talks\nwhat talks said\n== quiet\n== file\n== other\nwhat other said\n",
        "{output:?}"
    );
}

/// Runs a script with `NEXT`, `BACKUP` and the current folder in a folder of its own.
pub(in crate::gateway) fn in_folder(
    files: &[(&str, &[u8])],
    script: &str,
) -> (tempfile::TempDir, std::process::Output) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().display().to_string();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("a file of the test");
    }
    let script = format!("export LC_ALL=C\n{script}").replace("NEXT", &path).replace("BACKUP", &path);
    let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output();
    (folder, output.expect("sh is there"))
}

fn edited(env: &[u8]) -> Vec<u8> {
    let script = format!("tag=5d2e8f90\nold_commit=3f7c21ab\ncommit=5d2e8f90\n{VALUES}{}", include_str!("edit_env.sh"));
    let (folder, output) = in_folder(&[(".env", env)], &script);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1, "something was left beside .env");
    std::fs::read(folder.path().join(".env")).expect(".env")
}

#[test]
fn the_tag_is_set_and_all_else_stays_byte_for_byte() {
    let cases: [(&[u8], &[u8]); 20] = [
        (b"IMAGE_VERSION=old\n", b"IMAGE_VERSION=5d2e8f90\n"),
        (b"A=1\r\nIMAGE_VERSION=old\r\nB=2\r\n", b"A=1\r\nIMAGE_VERSION=5d2e8f90\r\nB=2\r\n"),
        (b"IMAGE_VERSION=old # by hand\n", b"IMAGE_VERSION=5d2e8f90 # by hand\n"),
        (b"IMAGE_VERSION= # none\n", b"IMAGE_VERSION=5d2e8f90 # none\n"),
        (b"IMAGE_VERSION=\"old one\" # x\n", b"IMAGE_VERSION=\"5d2e8f90\" # x\n"),
        (b"IMAGE_VERSION=''\n", b"IMAGE_VERSION='5d2e8f90'\n"),
        (b" IMAGE_VERSION = old", b" IMAGE_VERSION = 5d2e8f90"),
        (b"IMAGE_VERSION=\n", b"IMAGE_VERSION=5d2e8f90\n"),
        (b"export IMAGE_VERSION=old\n", b"export IMAGE_VERSION=5d2e8f90\n"),
        (
            b"IMAGE_VERSION=1\nexport\tIMAGE_VERSION='2' # x\n",
            b"IMAGE_VERSION=1\nexport\tIMAGE_VERSION='5d2e8f90' # x\n",
        ),
        (
            b"IMAGE_VERSION=1\nIMAGE_VERSION=2\n#IMAGE_VERSION=3\n",
            b"IMAGE_VERSION=1\nIMAGE_VERSION=5d2e8f90\n#IMAGE_VERSION=3\n",
        ),
        (b"A=\0\xff\nIMAGE_VERSION=old\nB=\0\n", b"A=\0\xff\nIMAGE_VERSION=5d2e8f90\nB=\0\n"),
        (b"MY_IMAGE_VERSION=1\n", b"MY_IMAGE_VERSION=1\nIMAGE_VERSION=5d2e8f90\n"),
        (b"A=1", b"A=1\nIMAGE_VERSION=5d2e8f90\n"),
        (b"A=\0", b"A=\0\nIMAGE_VERSION=5d2e8f90\n"),
        (b"", b"IMAGE_VERSION=5d2e8f90\n"),
        (b"\xef\xbb\xbfIMAGE_VERSION=old\n", b"\xef\xbb\xbfIMAGE_VERSION=5d2e8f90\n"),
        (b"IMAGE_VERSION=${GIT_HASH}\nGIT_HASH=v1.8.0\n", b"IMAGE_VERSION=5d2e8f90\nGIT_HASH=v1.8.0\n"),
        (b"GIT_HASH=3f7c21ab # 1.8\nIMAGE_VERSION=old\n", b"GIT_HASH=5d2e8f90 # 1.8\nIMAGE_VERSION=5d2e8f90\n"),
        (
            b"IMAGE_VERSION=old\nGIT_HASH=\"3f7c21ab0123456789012345678901234567890a\"",
            b"IMAGE_VERSION=5d2e8f90\nGIT_HASH=\"5d2e8f90\"",
        ),
    ];
    for (before, after) in cases {
        let env = edited(before);
        assert_eq!(env.escape_ascii().to_string(), after.escape_ascii().to_string());
        // Whoever looks at it next reads the very tag.
        let (_folder, output) = in_folder(&[(".env", &env)], &format!("{VALUES}values IMAGE_VERSION"));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "5d2e8f90\n", "{}", env.escape_ascii());
    }
}

#[test]
fn of_env_the_last_assignment_counts_without_its_quotes_or_the_comment_behind_it() {
    let cases: [(&[u8], &str); 16] = [
        (b"\xef\xbb\xbfA=1\nB=2\n", "1\n2\n"),
        (b"A=1\nB=2\n", "1\n2\n"),
        (b"B=2\nA=1\nA=3\n", "3\n2\n"),
        (b" A\t= one two \r\n#A=0\nXA=0\nA_B=0\nA.B=0\n", "one two\n\n"),
        (b"A=\"x y\"\nB='z'", "x y\nz\n"),
        (b"A=\"'x'\"\nB=\"\n", "'x'\n\"\n"),
        (b"A='\nB=''\n", "'\n\n"),
        (b"A=a=b\\n&\nB=192.168.60.10:5000/\n", "a=b\\n&\n192.168.60.10:5000/\n"),
        (b"A=x\nA=\nB\n", "\n\n"),
        (b"A=x # by hand\r\nB= # none\r\n", "x\n\n"),
        (b"A=\"x # y\" # by \"hand\"\nB='z'\t#\r\n", "x # y\nz\n"),
        (b"A=x#y\nB=\" # z\n", "x#y\n\"\n"),
        (b"A=1\nexport A=2\n\texport  B='3'\n", "2\n3\n"),
        (b"exportA=1\nexport=2\nB=export A=3\n", "\nexport A=3\n"),
        (b"C=\0\xff\nA=1\nB=\xff\n", "1\n\u{fffd}\n"),
        (b"", "\n\n"),
    ];
    for (env, said) in cases {
        let (_folder, output) = in_folder(&[(".env", env)], &format!("{VALUES}values A B"));
        assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stdout)), (Some(0), said), "{env:?}");
    }
}

#[test]
fn compose_fills_in_what_env_refers_to() {
    // Real docker-compose 1.29.2 where it is there; what it and 2.26.1-4 print is the same but for the names around it.
    let resolved = |program: &str, env: &[u8]| {
        let script =
            format!("{}compose_program={program}\n{VALUES}resolved --env-file .env", include_str!("composes.sh"));
        let (_folder, output) = in_folder(&[(".env", env)], &script.replace("CONFIGURED", "''"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let printed = "printed() { printf 'name: x\\nservices:\\n  teravm-ci:\\n    environment:\\n      TERAVM_CI_PROJECT: =feg\\n      \
                   TERAVM_CI_REGISTRY: '\\''=registry.lab/magma/'\\''\\n      TERAVM_CI_TAG: \"=3f7c21ab\"\\n    image: teravm-ci\\n'; }\n";
    let (_folder, output) =
        in_folder(&[], &format!("{}{printed}compose_program=printed\n{VALUES}resolved", include_str!("composes.sh")));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "feg\nregistry.lab/magma/\n3f7c21ab\n", "{output:?}");
    if std::process::Command::new("docker-compose").arg("version").output().is_ok() {
        let env = include_bytes!("../../../tests/fixtures/env/interpolated-registry.env");
        assert_eq!(resolved("docker-compose", env), "feg\nregistry.lab/magma/\n3f7c21ab\n");
        let env = include_bytes!("../../../tests/fixtures/env/bom-project-first.env");
        assert_eq!(resolved("docker-compose", env), "feg\nregistry.lab/magma/\n3f7c21ab\n");
    }
}

#[test]
fn no_value_of_env_passes_and_the_exit_status_does() {
    let env = b"DOCKER_PASSWORD=s3cr3t-word\r\nIMAGE_VERSION=old\nC-D=a%b\nnonsense without equals\n";
    let script = format!(
        "{}\nset -e\nmasked sh -c 'echo fine; exit 0'\nmasked cat said && :\nmasked sh -c 'exit 7'\necho not here",
        include_str!("masked.sh")
    );
    let said = b"line 1: unexpected character \"-\" in variable name near \"C-D=a%b\\nX=1\"\n\
                 unexpected character \"%\" in variable name \"C-D=a%b\"\nlogin with s3cr3t-word failed\n\
                 unterminated quoted value 'abc\nDOCKER_PASSWORD=x\nbefore nonsense without equals after\nPulling magmad\n";
    let (_folder, output) = in_folder(&[(".env", env), ("said", said)], &script);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "fine\nline 1: unexpected character \"-\" in variable name near \"***\n\
         unexpected character \"%\" in variable name \"C-D=***\nlogin with *** failed\n\
         unterminated quoted value ***\nDOCKER_PASSWORD=***\nbefore *** after\nPulling magmad\n"
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn what_was_set_aside_is_put_back_whatever_the_config_says() {
    let kept = tempfile::tempdir().expect("a temporary folder");
    let home = tempfile::tempdir().expect("a temporary folder");
    let files = ["recreate_services_cron", "50%=e=p%2F\\ 'n", "a"].map(|name| home.path().join(name));
    let asides = files.each_ref().map(|file| kept.path().join(switch::name_aside(&file.display().to_string())));
    for (file, aside) in files.iter().zip(&asides) {
        std::fs::write(aside, file.display().to_string()).expect("a file of the test");
    }
    let script = include_str!("resume.sh").replace("QUIESCED", &kept.path().display().to_string());
    let run = || std::process::Command::new("sh").args(["-ec", &script]).output().expect("sh is there").status;
    assert!(run().success());
    for (file, aside) in files.iter().zip(&asides) {
        assert_eq!(std::fs::read_to_string(file).expect("it is back"), file.display().to_string());
        assert!(!aside.exists());
    }
    // Nothing is set aside any more, and that is fine.
    assert!(run().success());
    std::fs::write(kept.path().join("%gone%away%cron"), "").expect("a file of the test");
    assert!(!run().success(), "a file that cannot be put back is no success");
    assert!(kept.path().join("%gone%away%cron").exists());
}

#[test]
fn the_release_is_checked_with_the_files_that_compose_reads_here() {
    let files = |value: &str, present: &[(&str, &[u8])]| {
        let script = format!("{VALUES}{}echo \"$@\"", include_str!("compose_files.sh"));
        let env = format!("COMPOSE_FILE={value}\n");
        let (folder, output) = in_folder(&[present, &[(".env", env.as_bytes())]].concat(), &script);
        let path = folder.path().display().to_string();
        String::from_utf8_lossy(&output.stdout).replace(&path, "NEXT").trim_end().to_owned()
    };
    assert_eq!(files("", &[]), "-f NEXT/docker-compose.yml");
    let override_file: (&str, &[u8]) = ("docker-compose.override.yml", b"");
    assert_eq!(files("", &[override_file]), "-f NEXT/docker-compose.yml -f docker-compose.override.yml");
    assert_eq!(files("docker-compose.yml:site.yml", &[override_file]), "-f NEXT/docker-compose.yml -f site.yml");
}

#[test]
fn the_colon_of_a_port_begins_no_tag() {
    let named = |reference: &str| {
        let container = container("a", reference);
        let (name, tag) = container.named();
        format!("{name} {tag}")
    };
    assert_eq!(named("192.168.60.10:5000/gateway_go:5d2e8f90"), "192.168.60.10:5000/gateway_go 5d2e8f90");
    assert_eq!(named("192.168.60.10:5000/gateway_go"), "192.168.60.10:5000/gateway_go latest");
    assert_eq!(named("gateway_go"), "gateway_go latest");
}

/// Runs the script with a Docker client that knows the containers of three services. Their health is as Docker 28.2.2
/// has it: `ExitCode` and `Output` of the last five checks, the oldest first.
#[test]
fn what_is_not_healthy_is_named_with_what_its_health_check_said() {
    let said = |services: &[&str]| {
        let script = format!(
            "masked() {{ \"$@\"; }}\ndocker() {{\n  case $* in\n  ps*health=unhealthy | ps*service=td-agent-bit) echo 1 ;;\n  \
             ps*service=magmad) echo 2 ;;\n  ps*service=proxy) echo 3 ;;\n  \
             inspect*1) printf 'td-agent-bit\\n@ 0 fine\\n\\n@ 7 curl: (7) Failed to connect\\n\\tto localhost\\n\\n' ;;\n  \
             inspect*2) printf 'magmad\\n' ;;\n  inspect*3) printf 'proxy\\n@ -1 \\n' ;;\n  logs*) echo \"line of $4\" ;;\n  esac\n}}\n\
             set -- {}\n{}{}",
            services.join(" "),
            include_str!("health.sh"),
            include_str!("last_words.sh"),
        );
        let (_folder, output) = in_folder(&[], &script.replace("PROJECT", "feg"));
        assert!(output.stderr.is_empty(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let unhealthy = "health check of `td-agent-bit` ended with 7: curl: (7) Failed to connect to localhost\n";
    assert_eq!(said(&["td-agent-bit"]), format!("{unhealthy}td-agent-bit: line of 1\n"));
    assert_eq!(said(&["magmad"]), "magmad: line of 2\n");
    let both = format!("{unhealthy}health check of `proxy` ended with -1\ntd-agent-bit: line of 1\nproxy: line of 3\n");
    assert_eq!(said(&["td-agent-bit", "proxy"]), both);
    assert_eq!(said(&[]), unhealthy);
}

#[test]
fn only_an_image_with_a_tag_can_have_its_name_again() {
    let is_tagged = |reference: &str| container("a", reference).is_tagged();
    assert!(is_tagged("192.168.60.10:5000/gateway_go:5d2e8f90"));
    assert!(!is_tagged("192.168.60.10:5000/gateway_go@sha256:1f"));
    assert!(!is_tagged("sha256:1f"));
}

#[test]
fn a_service_that_was_not_there_before_is_not_as_before() {
    assert_eq!(Feg::is_as_before(&found(&[("magmad", "a")]), &found(&[("magmad", "b")])), Ok(()));
    let wrong = Feg::is_as_before(&found(&[("magmad", "a"), ("new", "b")]), &found(&[("magmad", "a")]));
    assert_eq!(wrong, Err("`new` has a container and had none".to_owned().into()));
}

/// Two programs on the host: what each reads is in the folder `reads`.
const TWO_PROGRAMS: &str = "masked() { \"$@\"; }\ndocker() { echo 20.10; }\nprograms() { echo v2; echo v1; }\n\
     compose() { echo \"$compose_program\" >>calls; case $* in *NEXT*) [ -e \"$compose_program.new\" ] ;; *) [ -e \"$compose_program.old\" ] ;; esac || \
     { echo 'not readable'; return 15; }; case $* in *' --services') echo magmad ;; esac; }\nresolved() { echo 1; }\ntag=1\n\
     cp .env docker-compose.yml next/\necho X=1 >>next/.env\nset -- -f next/docker-compose.yml\n";

#[test]
fn the_next_compose_program_is_asked_where_one_does_not_read_a_file() {
    let ask = concat!(include_str!("questions.sh"), include_str!("ask_composes.sh"))
        .replace("REFUSED", "6")
        .replace("KNOWN", "known");
    let said = |reads: &[&str]| {
        let reads: String = reads.iter().map(|name| format!("touch {name}\n")).collect();
        let script = format!("mkdir next\n{reads}{TWO_PROGRAMS}{ask}\n").replace("NEXT", "next");
        let files: [(&str, &[u8]); 2] = [(".env", b"A=1\n"), ("docker-compose.yml", b"services: {}\n")];
        let (folder, output) = in_folder(&files, &script);
        let known = std::fs::read_to_string(folder.path().join("next/known")).unwrap_or_default();
        let composes = super::compose::Composes::parse(&String::from_utf8_lossy(&output.stdout));
        let chosen = composes.choose("").map(|asked| asked.program.clone()).ok();
        (output.status.code().expect("it ends by itself"), chosen, known.lines().skip(1).collect::<Vec<_>>().join(" "))
    };
    let (v1, v2) = (Some("v1".to_owned()), Some("v2".to_owned()));
    assert_eq!(said(&["v1.old", "v1.new", "v2.old", "v2.new"]), (0, v2, "v2 magmad".to_owned()));
    assert_eq!(said(&["v1.old", "v1.new"]), (0, v1.clone(), "v1 magmad".to_owned()));
    assert_eq!(said(&["v1.old", "v1.new", "v2.new"]), (0, v1, "v1 magmad".to_owned()));
    assert_eq!(said(&["v1.old", "v2.new"]), (0, None, String::new()));
    assert_eq!(said(&["v1.old", "v2.old"]), (6, None, String::new()));
}

#[test]
fn a_backup_that_compose_does_not_read_is_none() {
    let check = include_str!("check_backup.sh");
    let said = |compose: &str| {
        let script = format!(
            "set -e\nmasked() {{ \"$@\"; }}\ncompose() {{ {compose}; }}\nset -- -f BACKUP/docker-compose.yml\n{check}echo secured\n"
        );
        String::from_utf8_lossy(&in_folder(&[], &script).1.stdout).into_owned()
    };
    assert_eq!(said("true"), "secured\n");
    assert_eq!(said("echo 'mapping key already defined'; return 15"), "mapping key already defined\n");
}

#[test]
fn the_way_back_has_another_compose_and_then_the_containers_own_record() {
    let back = include_str!("compose_back.sh");
    let said = |compose: &str| {
        let script = format!(
            "place() {{ true; }}\nremove() {{ echo \"removes $1\"; }}\nsaid_by() {{ \"$@\"; }}\nprograms() {{ echo v2; echo v1; }}\ncompose_program=v2\n\
             holds_a_lost_name() {{ false; }}\ndid_not_answer() {{ false; }}\nfrom_record() {{ echo 'from the record'; }}\n\
             compose() {{ echo \"$compose_program $*\"; {compose}; }}\nstarted=magmad\nstopped=eap_sim\n{back}echo back\n"
        );
        let services: &[u8] = b"magmad\neap_sim\n";
        let files: [(&str, &[u8]); 3] = [(".env", b""), ("docker-compose.yml", b""), ("services", services)];
        String::from_utf8_lossy(&in_folder(&files, &script).1.stdout).into_owned()
    };
    let by = |program: &str| {
        format!("{program} up -d magmad\n{program} up --no-start --no-deps eap_sim\n{program} stop eap_sim\n")
    };
    assert_eq!(said("true"), by("v2") + "back\n");
    assert_eq!(
        said("[ \"$compose_program\" = v1 ]"),
        format!("v2 up -d magmad\nv2 has failed, trying v1\n{}back\n", by("v1"))
    );
    assert_eq!(said("false"), "v2 up -d magmad\nv2 has failed, trying v1\nv1 up -d magmad\nfrom the record\nback\n");
}

/// What else was said to fail, with the programs that print it, and whose fault each is: other versions, and what a lab
/// does not show.
const FAILED_SWITCHES: &[(&str, Class)] = &[
    // docker-compose 1.29.2 with Docker 20.10 and runc 1.0
    (
        "ERROR: for magmad  Cannot start service magmad: OCI runtime create failed: container_linux.go:367: starting container process caused: \
         exec: \"python3.8\": executable file not found in $PATH: unknown",
        Class::Upgrade,
    ),
    (
        "ERROR: for magmad  UnixHTTPConnectionPool(host='localhost', port=None): Read timed out. (read timeout=60)",
        Class::Testbed,
    ),
    // docker-compose 1.29.2 with Docker 25 or later
    ("ERROR: for magmad  'ContainerConfig'\nKeyError: 'ContainerConfig'", Class::Testbed),
    (
        "ERROR: for csfb  Cannot start service csfb: error while creating mount source path '/x': mkdir /x: read-only file system",
        Class::Testbed,
    ),
    ("ERROR: for csfb  Cannot start service csfb: what no version has said before", Class::Testbed),
    // docker compose 2.1 with Docker 29
    (
        "Error response from daemon: client version 1.38 is too old. Minimum supported API version is 1.44",
        Class::Testbed,
    ),
    // The words of a service of the release.
    (
        "dependency failed to start: container magmad is unhealthy\nhealth check of `magmad` ended with 1: context deadline exceeded",
        Class::Upgrade,
    ),
    // runc 1.0 and before.
    (
        "Error response from daemon: OCI runtime create failed: container_linux.go:380: starting container process caused: \
         exec: \"/bad\": permission denied: unknown",
        Class::Upgrade,
    ),
    (
        "ERROR: for magmad  Cannot start service magmad: OCI runtime create failed: container_linux.go:349: starting \
         container process caused \"exec: \\\"/bad\\\": permission denied\": unknown",
        Class::Upgrade,
    ),
    (
        "Error response from daemon: OCI runtime create failed: container_linux.go:380: starting container process caused: \
         process_linux.go:545: container init caused: rootfs_linux.go:76: mounting \"/srv/x\" to rootfs at \"/x\" caused: \
         mount through procfd: permission denied: unknown",
        Class::Testbed,
    ),
    // Nothing that names the release.
    (" Container magmad  Recreate\n Container magmad  Recreated\n Container magmad  Starting\nKilled", Class::Testbed),
    ("Recreating magmad ... \nRecreating magmad ... done\n", Class::Testbed),
    ("", Class::Testbed),
];

#[test]
fn a_switch_that_fails_is_the_releases_fault_only_where_it_is_named() {
    for (said, class) in FAILED_SWITCHES {
        assert_eq!(activation_class(said), *class, "{said}");
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/switch");
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a text");
        let (head, said) =
            text.split_once('\n').and_then(|(_, rest)| rest.split_once('\n')).expect("two lines of head");
        let class = match head {
            "= upgrade" => Class::Upgrade,
            "= testbed" => Class::Testbed,
            other => panic!("{}: {other}", path.display()),
        };
        if activation_class(said) != class {
            wrong.push(format!("{} is not {class:?}", path.display()));
        }
        count += 1;
    }
    assert!(count >= 26, "{count} files");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A server that sends `/ID` on to wherever it is told, by https and by http, and has the file itself.
const REDIRECTING: &str = r#"
import http.server, ssl, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.strip("/")
        self.send_response(302 if name else 200)
        if name:
            self.send_header("Location", f"{name}://localhost:{ports[name]}/")
        body = b"" if name else b"services: {}\n"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

servers = {name: http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for name in ["http", "https"]}
ports = {name: server.server_port for name, server in servers.items()}
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("certificate", "key")
servers["https"].socket = context.wrap_socket(servers["https"].socket, server_side=True)
for server in servers.values():
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(ports["http"], ports["https"], flush=True)
sys.stdin.read()
"#;

#[test]
fn a_compose_file_that_is_asked_for_by_https_never_comes_by_http() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout", "key", "-out", "certificate"])
        .current_dir(path)
        .output()
        .expect("openssl is there");
    assert!(made.status.success(), "{made:?}");
    std::fs::write(path.join("wgetrc"), "ca_certificate = certificate\n").expect("a file of the test");
    let mut server = Command::new("python3")
        .args(["-c", REDIRECTING])
        .current_dir(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is there");
    let mut line = String::new();
    BufReader::new(server.stdout.take().expect("it is piped")).read_line(&mut line).expect("its ports");
    let ports: Vec<&str> = line.split_whitespace().collect();
    let [http, https] = ports[..] else { panic!("{line}") };
    let [http, https] = [format!("http://localhost:{http}/"), format!("https://localhost:{https}/")];

    let fetch = |url: &str, with: &str| {
        let _ = std::fs::remove_file(path.join("docker-compose.yml"));
        // Only the program that is meant is found.
        let script = include_str!("fetch_compose.sh").replace("NEXT", ".").replace("command -v curl", with);
        let output = Command::new("sh")
            .args(["-c", &format!("{script}fetch_compose {}", quote(url))])
            .current_dir(path)
            .envs([("CURL_CA_BUNDLE", "certificate"), ("WGETRC", "wgetrc")])
            .output()
            .expect("sh is there");
        let text = std::fs::read_to_string(path.join("docker-compose.yml")).unwrap_or_default();
        assert_eq!(output.status.success(), text == "services: {}\n", "{url} {with}: {output:?}");
        output.status.success()
    };
    for curl in [true, false] {
        let with = if curl { "true" } else { "false" };
        let fetched = [
            fetch(&https, with),
            fetch(&format!("{https}http"), with),
            fetch(&format!("{http}http"), with),
            fetch(&format!("{http}https"), with),
            fetch(&format!("{https}https"), with),
        ];
        assert_eq!(fetched, [true, false, true, true, curl], "{with}");
    }
    drop(server.stdin.take());
    server.wait().expect("it ends");
}
