<?php

// A first request from PHP, with PDO: DATABASE_URL=... php first_request.php
// It waits by the procedure, which asks the database to wait; no transaction is open meanwhile.

$url = parse_url(getenv('DATABASE_URL'));
$db = new PDO(
    sprintf('pgsql:host=%s;port=%d;dbname=%s', $url['host'], $url['port'] ?? 5432, ltrim($url['path'], '/')),
    rawurldecode($url['user'] ?? ''),
    rawurldecode($url['pass'] ?? ''),
    [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]
);

$messages = [['role' => 'user', 'content' => 'Summarise ticket 7: ...']];

$db->beginTransaction(); // your own writes go here too: all of it commits, or nothing
$submit = $db->prepare(
    "select llmq.submit_llm_request(agent_id => 'support', task_type => 'summary', messages => :messages)"
);
$submit->execute(['messages' => json_encode($messages)]);
$id = $submit->fetchColumn();
$db->commit();

$db->prepare("call llmq.wait_for_llm_request(:id, '60 s')")->execute(['id' => $id]);
$read = $db->prepare('select status, response from llmq.get_llm_request(:id)');
$read->execute(['id' => $id]);
$answer = $read->fetch(PDO::FETCH_ASSOC);

echo $answer['status'], "\n", $answer['response'] ?? '(no answer)', "\n";
